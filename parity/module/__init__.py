"""Any torch module as the subject of a comparison."""
