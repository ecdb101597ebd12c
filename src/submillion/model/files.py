"""What the files of an adapter's folder are called: PEFT's two, the head of `pooling: mean`, the names."""

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
HEAD = "head.safetensors"
NAMES = "submillion.json"
