"""The web pages: the shell, the files they are made of, login and session."""
