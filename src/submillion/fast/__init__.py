"""The fast pieces: what runs a frozen encoder with LoRA near the machine's own limit."""
