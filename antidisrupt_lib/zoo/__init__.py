"""Small weights for the drawn faces, which this project trained itself: params/zoo.yaml, about an hour on 2 CPU cores.

`generator.safetensors`, `classifier.safetensors` and `denoiser.safetensors`, stored as float16, each with its card in
the header; `README.md` shows the cards. `python -m antidisrupt_lib.zoo outputs/zoo` publishes a finished study here.
"""
