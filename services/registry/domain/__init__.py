"""Pure rules: the tree of territories, who holds a role, what an address may look like."""
