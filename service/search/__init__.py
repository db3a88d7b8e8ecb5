"""From a query to ranked skills: encode, find candidates, rank, explain, record."""
