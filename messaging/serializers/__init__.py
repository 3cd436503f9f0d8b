"""How templates, batches, messages, conversations and webhook calls look to programs, and the bodies they are given."""
