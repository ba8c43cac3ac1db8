"""A benchmark of made-up forgeries of real faces, for work without the published datasets."""
