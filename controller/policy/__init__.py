"""What an operator wants: documents as values, and every mistake in one with its place. Pure: bytes in, values out.

problem          one mistake: file, line, column, field, message, hint
source           bytes of a file > trees          (yaml_reader, json_reader, scalars, tree)
fields           every field, declared once       (shapes, group, languages, findings)
parse            trees × fields > documents, valid or not, and all problems
document         NodeManagementPolicy, ImageRemovalPolicy: what a valid one says
rfc3339          a written start, as upstream reads it
schema           fields > JSON Schema
template         fields > a commented document to begin with
report           problems > text, JSON, GitHub annotations, SARIF
reading          one reading of a whole folder
node_document    the document of a node: its pattern and policy
exchange_answer  documents of the Exchange; image_property: an image policy inside a property
"""
