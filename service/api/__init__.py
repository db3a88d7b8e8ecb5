"""The HTTP interface: thin handlers over the rooms below, and what every request passes."""
