"""Writers: a page of shapes to SVG, PNG, GIF, MP4, HTML or text."""
