"""The paper's three experiments: grids of trainings, their results, and what these say about the paper's claims."""
