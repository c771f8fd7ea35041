"""Dead letters: the records that the job rejected, each with its reason. Read, count, archive and replay them."""
