"""What we say and what became of it: templates, batches, messages, receipts, webhooks, conversations."""
