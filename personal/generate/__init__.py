"""Generate: matches and a conversation become chat messages, and a language model's answer to them."""
