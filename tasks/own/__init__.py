"""One's own data: taken along, brought, handed over, erased (docs/api.md section 8)."""
