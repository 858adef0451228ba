"""The status page: a picture of the controller → HTML that needs no script, and a script that keeps it fresh.

html      text and markup, never mixed up
query     what of the list somebody wants to see
words     moments and verdicts in words
charts    figures drawn as SVG
lists     references, policies, removals
page      the whole page; explanation: why, for one image
assets    the style sheet, the script and the icon beside these modules
"""
