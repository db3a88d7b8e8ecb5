"""The JSON tracker that came before the database, and the cut-over from it to the database."""
