"""Losses and gradients of Keras' categorical cross-entropy, printed as the Rust arrays of
crates/kernels/src/cross_entropy/golden.rs.

Run with KERAS_BACKEND=torch and Keras 3.15. Element (r, v) of the 4 x 5 input is ((7 r + 3 v + 2 r v) mod 11) / 8, so that
some are exactly 0, and element (0, 4) is 1e-9 when inputs are probabilities. Targets: class (2 r + 4) mod 5; or
((r + 2 v) mod 4) / 4 as weights of classes. The gradient is that of the sum of the rows' losses.
"""

import keras
import torch

ROWS, CLASSES = 4, 5
INPUT = [[((7 * r + 3 * v + 2 * r * v) % 11) / 8 for v in range(CLASSES)] for r in range(ROWS)]
IDS = torch.tensor([(2 * r + 4) % 5 for r in range(ROWS)])
DENSE = torch.tensor([[((r + 2 * v) % 4) / 4 for v in range(CLASSES)] for r in range(ROWS)])

L = keras.losses
print(f"// Keras {keras.__version__}, backend {keras.backend.backend()}")
for from_logits in [True, False]:
    for name, loss in [
        ("IDS", lambda x: L.sparse_categorical_crossentropy(IDS, x, from_logits=from_logits)),
        ("DENSE", lambda x: L.categorical_crossentropy(DENSE, x, from_logits=from_logits)),
        ("SMOOTH", lambda x: L.categorical_crossentropy(DENSE, x, from_logits=from_logits, label_smoothing=0.1)),
    ]:
        x = torch.tensor(INPUT)
        if not from_logits:
            x[0, 4] = 1e-9
        x.requires_grad_()
        rows = loss(x.to(keras.src.backend.torch.core.get_device()))
        rows.sum().backward()
        kind = "LOGITS" if from_logits else "PROBABILITIES"
        values = [str(value.item()) if value == 0 else repr(float(value)) for value in [*rows, *x.grad.flatten()]]
        print(f"pub const {kind}_{name}: [f64; {len(values)}] = [{', '.join(values)}];")
