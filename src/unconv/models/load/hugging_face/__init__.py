"""``hf:NAME_OR_FOLDER``: vision networks of transformers, from the Hugging Face hub or from a folder."""
