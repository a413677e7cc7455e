"""The pages of connections: the wizard, the list, each connection, its webhook secret."""
