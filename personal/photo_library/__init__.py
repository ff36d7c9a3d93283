"""A library of the photos in folders of one's own: read in place, searched in words with the names of concepts."""
