"""The papers' figures and others of the runs, drawn with matplotlib as SVG and PNG."""
