"""Settings of Sphinx for the docs site. `make docs` writes the pages first (generate.py).

Sphinx with MyST reads plain Markdown, reports links and anchors that lead nowhere, and makes
pages whose search works from a folder, without a server. Furo loads nothing from elsewhere.
"""

project = "windfleet"
extensions = ["myst_parser"]
myst_heading_anchors = 3
smartquotes = False
highlight_language = "none"
html_theme = "furo"
html_title = "windfleet"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
