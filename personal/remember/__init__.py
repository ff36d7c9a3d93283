"""Remember: concepts on disk (the truth), their vectors in Chroma (an index over it), export and import."""
