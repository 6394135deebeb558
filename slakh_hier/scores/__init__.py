"""What evaluations and experiments say, declared once: models write it, pages and tables read it. Needs no PyTorch."""
