"""What was tried where a target is missed, with its measured effect, and what limits the work now.

Measured on two cores of a Xeon with AVX-512 (JAX 0.10.2, PyTorch 2.14.1), float32, alternating in one process.
"""

FORWARD = (
    "Entry blocks one image at a time: 48 to 39 ms an image of a batch of 8; compiled kernels (filter, product, "
    "normalisation, ReLU and residual in one pass): to 31. Without help: normalisation folded into the weights "
    "inside the program (40 to 44 ms: it writes them anew in every call), XLA’s own convolution in the stem (42), "
    "later blocks by 1, 2 or 4 images (47, 41, 40), huge pages (28 to 29). What limits it: the innermost loop "
    "multiplies at the rate of the machine, whole layers at three quarters of it; one image alone reads 83 MB of "
    "weights."
)
STEP = (
    "The index of the maximum kept for the gradient of pooling, filters per channel differentiated as filters, the "
    "kept activation on the left of the product for the weights, the stem image by image: 335 to 200 ms an image of "
    "a batch of 8; filters and their gradients by compiled kernels: 216 to 189, one after the other; maxima of "
    "windows by kernels: of 8 × 109 × 109 × 128, gradients included, 31 to 15 ms. XLA gives the memory of a step "
    "back after every call, and the page faults of the next one took a fifth of it: eight steps in a call, 1,481 to "
    "1,208 ms for a batch of 8, before maxima and normalisation were kernels. Without help: a normalisation that "
    "keeps x alone for its gradient (.3 %), smaller groups of rows for the filters’ gradient, sums of products "
    "before one reduction (2.4 ms instead of .6). What limits it: matrix products are 85 ms an image on two cores, "
    "at the rate that XLA has for them; the rest moves maps through memory, mostly in normalisation and padding."
)
UNET = (
    "Dense convolutions and their gradients by compiled kernels, at the rate of the machine’s matrix products: 459 "
    "to 247 ms, and thirty frames at inference 220 to 117, one process after the other. XLA’s gradient of 2×2 maxima "
    "was 43 ms of that step by its profile; with maxima and the sums of batch normalisation by kernels, and ReLU "
    "within the convolution, a step takes 180 to 187; four steps in a call, before these two: 234 to 203. Where "
    "there are no kernels: patches, half as fast. Without help: 64 partial sums of the kernels’ gradient instead of "
    "16 (2 to 22 % slower; 32 are kept, for more threads), fewer positions at once there (no difference beyond the "
    "machine’s own); before the kernels, nine products or shifted rows for the forward pass (1.2 to 10 times slower "
    "than XLA’s convolution), Winograd’s form for the gradient of kernels (28 ms instead of 18). What limits it: the "
    "convolutions take about 130 ms at 300 GFLOP/s; the rest moves maps through memory."
)
EPOCH = (
    "All but the network’s steps takes 20 ms of an epoch: drawing batches, dispatch, validation, measures. A "
    "checkpoint fell from 390 to 85 ms. Dense convolutions by kernels: a step of the demo’s CNN 38 to 31 ms, of "
    "RetinaMNIST’s 12.6 to 10.2, one process after the other; maxima and the sums of batch normalisation by kernels "
    "too: 15.0 and 7.2, in a later one. Without help: eleven steps a dispatch, augmentation in halves of the batch, "
    "huge pages. What limits it is the network’s step, small maps in many layers."
)
EMBRYO = (
    "Shrinking and cropping by two exact products, a frame at a time: 175 to 117 ms for thirty frames; by products "
    "of bands, beyond which weights are 0: half of that. The U-Net by kernels: 220 to 102. What limits it: the "
    "U-Net."
)
GRID = (
    "Side by side, batches of an epoch at once, one program for all seeds of an objective. Without help on a CPU: "
    "four LSTMs side by side take 1.9 to 2.5 s where one by one they take 1.5, their products fill the cores "
    "already. What limits it: a step of the LSTM itself; apart, each process adds its start and its compilation."
)
TABLES = (
    "Thirty trainings as one program, their batches drawn, decided, counted and evaluated together, one compilation "
    "an objective instead of two: thirty hold-outs of one objective on ERA took 22 s before and take 11, of four 67 "
    "and 23. Without help: threefry without loops (0 to 3 %), thirty lanes instead of fifteen. What limits it: a "
    "hundred tiny operations a step on one core (13 to 15 ms an epoch of fifteen lanes), .8 s of tracing and "
    "compiling an objective, a checkpoint of 25 ms a cell by Orbax (an npz would take 1.4), and Python’s lock."
)
