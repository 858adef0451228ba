"""Which node this is: the node file and the Open Horizon agent."""
