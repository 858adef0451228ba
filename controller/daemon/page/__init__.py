"""The status page: HTML that needs no script, and a script that refreshes it.

html      text and markup, escaped
query     search, selection and order of the list
words     verdicts and rules in words
charts    figures drawn as SVG
lists     references, policies, removals
page      the whole page; explanation: one image
assets    the style sheet, the script and the icon beside these modules
"""
