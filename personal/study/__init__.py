"""User studies: a study is a file; participants go through it step by step; their records become a report."""
