"""What the prompt learners are made of: one formula of their papers per file."""
