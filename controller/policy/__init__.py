"""Policy documents as values, and every problem in them with its place. Pure: bytes in, values out.

How a document is read, from top to bottom:

    bytes of a file
      │  text/source         decodes, splits the file into documents, chooses the reader
      │  text/yaml_reader, text/json_reader, text/scalars
      ▼
    text/tree                Node: mappings, lists and scalars with line and column
      │
      │  document/fields     every field of a document and of its forms, declared once; each Field has a Shape
      │  document/mapping    reads the fields of one mapping: missing, unknown, duplicate, misspelt names
      │  document/shapes     reads one value: text, number, flag, list
      │  document/languages  reads one value with a grammar of its own: image name, constraint, start
      │  document/findings   collects the problems of one document, and which of the two spellings it uses
      ▼
    document/parse           chooses the form (plain, envelope, Exchange answer), checks rules between fields
      ▼
    document/document        NodeManagementPolicy, ImageRemovalPolicy: valid by construction
    problem                  Problem: file, line, column, field, message, hint

Beside it:

    document/node_document   the same for node files, with fields of their own
    document/exchange_answer, document/image_property
                             the form that the Exchange stores, and an image policy inside a property
    schema, template         JSON Schema and a template document, both derived from `fields`
    report                   problems as text, JSON, GitHub annotations or SARIF
"""
