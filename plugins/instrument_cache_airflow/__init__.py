"""What the DAGs are made of: operators, triggers and the wanted state of the stream. May import the kernel only."""
