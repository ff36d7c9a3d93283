"""What people see, in a browser: one module per tab, Gradio only here."""
