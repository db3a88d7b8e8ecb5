"""The face for agents: the Model Context Protocol over stdio and streamable HTTP, one definition for both."""
