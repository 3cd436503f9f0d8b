"""The demo: a small university imports, mirrors and texts its students, with the twins at the far end."""
