"""The folder of a run: its file names, what is in them, how they are written and read. No torch."""
