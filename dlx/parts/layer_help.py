"""What each layer of Keras does, in a sentence or two with shapes: the help that `dlx parts` and docs/spec.md show."""

_VIDEO = "(depth, height, width, channels)"

LAYERS = {
    # Dense, activations
    "dense": """Every unit sees every input: (…, features) to (…, units).

    Put `flatten` or `global_average_pooling2d` between images and the first dense layer.""",
    "einsum_dense": """A dense layer over axes named by an equation: `abc,cd->abd` takes (b, c) to (b, d).

    `output_shape` leaves out the batch axis; `bias_axes` names the letters of the output that have a bias.""",
    "activation": "An activation function as a layer of its own: `activation: relu`.",
    "relu": "x where it is positive, 0 where it is not; `max_value` caps it, `negative_slope` lets some through.",
    "leaky_relu": "x where it is positive, `negative_slope` · x where it is not (Maas et al. 2013).",
    "prelu": "A leaky relu whose slope is learned, one for each input (He et al. 2015); `shared_axes` share it.",
    "elu": "x where it is positive, alpha · (eˣ - 1) where it is not (Clevert et al. 2015).",
    "softmax": "Shares that add up to 1 along an axis; the `output` of classes has its own.",
    # Convolutions
    "conv1d": "Convolution along a sequence: (steps, channels) to (new steps, filters).",
    "conv2d": """Convolution over images: (height, width, channels) to (new height, new width, filters).

    `padding: same` keeps height and width at stride 1; `valid` loses `kernel_size - 1` of each.""",
    "conv3d": f"Convolution over volumes or videos: {_VIDEO} to the same with `filters` channels.",
    "conv1d_transpose": "The reverse of a strided convolution along a sequence: strides of 2 double the steps.",
    "conv2d_transpose": "The reverse of a strided convolution over images: strides of 2 double height and width.",
    "conv3d_transpose": "The reverse of a strided convolution over volumes: strides of 2 double every extent.",
    "depthwise_conv1d": "A convolution along a sequence for each channel alone: channels · depth_multiplier of them.",
    "depthwise_conv2d": "A convolution over images for each channel alone: channels · depth_multiplier of them.",
    "separable_conv1d": "A convolution for each channel alone, then one of size 1 over all of them, along a sequence.",
    "separable_conv2d": "A convolution for each channel alone, then one of 1 × 1 over all of them (Chollet 2016).",
    # Pooling
    "max_pooling1d": "The largest value of each window along a sequence; strides default to the window.",
    "max_pooling2d": "The largest value of each window of an image; strides default to the window.",
    "max_pooling3d": f"The largest value of each window of {_VIDEO}; strides default to the window.",
    "average_pooling1d": "The mean of each window along a sequence; strides default to the window.",
    "average_pooling2d": "The mean of each window of an image; strides default to the window.",
    "average_pooling3d": f"The mean of each window of {_VIDEO}; strides default to the window.",
    "adaptive_average_pooling1d": "Means of as many windows as it takes to come out at `output_size` steps.",
    "adaptive_average_pooling2d": "Means of as many windows as it takes to come out at `output_size` pixels a side.",
    "adaptive_average_pooling3d": "Means of as many windows as it takes to come out at `output_size` along each axis.",
    "adaptive_max_pooling1d": "Largest values of as many windows as it takes to come out at `output_size` steps.",
    "adaptive_max_pooling2d": "Largest values of as many windows as it takes to come out at `output_size` a side.",
    "adaptive_max_pooling3d": "Largest values of as many windows as it takes to come out at `output_size` an axis.",
    "global_average_pooling1d": "The mean of each feature over all steps: (steps, features) to (features).",
    "global_average_pooling2d": "The mean of each channel over a whole image: (height, width, channels) to (channels).",
    "global_average_pooling3d": f"The mean of each channel over all else: {_VIDEO} to (channels).",
    "global_max_pooling1d": "The largest value of each feature over all steps: (steps, features) to (features).",
    "global_max_pooling2d": "The largest value of each channel over an image: (height, width, channels) to (channels).",
    "global_max_pooling3d": f"The largest value of each channel over all else: {_VIDEO} to (channels).",
    # Shapes
    "flatten": "Everything in one row: (height, width, channels) to (height · width · channels).",
    "reshape": "The same values in another shape, without the batch axis; one entry may be -1.",
    "permute": "The axes in another order, counted from 1: `permute: [2, 1]` swaps steps and features.",
    "repeat_vector": "A vector n times over: (features) to (n, features).",
    "cropping1d": "Cuts steps off both ends: 2, or [from the start, from the end].",
    "cropping2d": "Cuts pixels off an image: 2, [of height, of width], or [[top, bottom], [left, right]].",
    "cropping3d": f"Cuts the ends off each axis of {_VIDEO}.",
    "zero_padding1d": "Adds steps of zeros at both ends: 2, or [at the start, at the end].",
    "zero_padding2d": "Adds a border of zeros: 2, [of height, of width], or [[top, bottom], [left, right]].",
    "zero_padding3d": f"Adds zeros at the ends of each axis of {_VIDEO}.",
    "up_sampling1d": "Every step `size` times over: (steps, features) to (steps · size, features).",
    "up_sampling2d": "Images `size` times as high and wide, by copying pixels or by `interpolation`.",
    "up_sampling3d": f"Every value of {_VIDEO} `size` times over along each axis.",
    "resizing": "Images brought to height × width; `preprocess: [resize]` does it before the first layer.",
    "center_crop": "The middle of an image, height × width of it; smaller images are resized.",
    "rescaling": "x · scale + offset; `preprocess: [rescale]` does the same before the first layer.",
    "identity": "Its input as it is: a branch of `parallel` that changes nothing.",
    "masking": "Steps whose features all have `mask_value` are passed over by the recurrent layers behind.",
    # Regularization, normalization
    "dropout": """Sets that share of its inputs to 0 while training and scales the rest up (Srivastava et al. 2014).

    `rate` is the share that is dropped: a keep_prob of 0.8 is a rate of 0.2.""",
    "spatial_dropout1d": "Drops whole features of a sequence while training (Tompson et al. 2014).",
    "spatial_dropout2d": "Drops whole channels of an image while training (Tompson et al. 2014).",
    "spatial_dropout3d": "Drops whole channels of a volume while training (Tompson et al. 2014).",
    "alpha_dropout": "A dropout that keeps mean and variance, for selu (Klambauer et al. 2017).",
    "gaussian_dropout": "Multiplies by random numbers about 1 while training, as strong as a dropout of that rate.",
    "gaussian_noise": "Adds random numbers of that standard deviation while training.",
    "activity_regularization": "Adds a penalty on the size of its inputs to the loss, and changes nothing else.",
    "batch_normalization": """Normalizes each channel by the mean and variance of the batch, then by the running ones.

    Ioffe and Szegedy 2015.""",
    "layer_normalization": "Normalizes each example by its own mean and variance (Ba et al. 2016).",
    "group_normalization": "Normalizes groups of channels of each example (Wu and He 2018); `groups` must divide them.",
    "rms_normalization": "Divides each example by the root of its mean square (Zhang and Sennrich 2019).",
    "unit_normalization": "Scales each example to a length of 1 along an axis.",
    "spectral_normalization": "A layer whose kernel is divided by its largest singular value (Miyato et al. 2018).",
    # Sequences
    "embedding": "A learned vector for each whole number: (steps) of 0 … input_dim-1 to (steps, output_dim).",
    "reversible_embedding": "An embedding whose weights may serve backwards, too; here it embeds as `embedding` does.",
    "simple_rnn": "A fully recurrent layer: (steps, features) to (units), or (steps, units) with `return_sequences`.",
    "lstm": """Long short-term memory (Hochreiter and Schmidhuber 1997): (steps, features) to (units).

    With `return_sequences: true` to (steps, units), which a following recurrent layer needs.""",
    "gru": "Gated recurrent unit (Cho et al. 2014): (steps, features) to (units), or (steps, units).",
    "rnn": "A recurrent layer of a cell, or of stacked cells: `rnn: {lstm_cell: 32}`.",
    "lstm_cell": "One step of an lstm, for `rnn`.",
    "gru_cell": "One step of a gru, for `rnn`.",
    "simple_rnn_cell": "One step of a simple_rnn, for `rnn`.",
    "stacked_rnn_cells": "Several cells, one behind the other, for `rnn`: they step together.",
    "conv_lstm1d": "An lstm whose products are convolutions: (time, steps, channels) to (new steps, filters).",
    "conv_lstm2d": "An lstm whose products are convolutions (Shi et al. 2015): videos to images of `filters` channels.",
    "conv_lstm3d": "An lstm whose products are convolutions over volumes: a sequence of them to one.",
    "time_distributed": "The same layer at every step: `time_distributed: {dense: 8}`, (steps, …) to (steps, …).",
    "multi_head_attention": """Every step looks at every other: (steps, features) to the same (Vaswani et al. 2017).

    Query, key and value are all the layer's input (self-attention).""",
    "group_query_attention": "Self-attention whose heads share keys and values (Ainslie et al. 2023): the same shape.",
    "attention": "Dot-product self-attention (Luong et al. 2015): (steps, features) to the same.",
    "additive_attention": "Additive self-attention (Bahdanau et al. 2014): (steps, features) to the same.",
    # Encodings, spectra
    "category_encoding": "Whole numbers below `num_tokens` as zeros and ones: one_hot, multi_hot, or a count of each.",
    "discretization": "Numbers as the number of the bin that they fall into, between `bin_boundaries`.",
    "mel_spectrogram": "Sound, (samples), as the energy in mel bands over time: (num_mel_bins, frames).",
    "stft_spectrogram": "Sound, (samples, channels), as a short-time Fourier transform: (frames, frequencies).",
    # Random changes of images, inside the network while it trains; `augment` has dlx's own.
    "aug_mix": "Several chains of random changes of an image, mixed (Hendrycks et al. 2019).",
    "auto_contrast": "Stretches each image's values over the whole `value_range`.",
    "contrast_limited_adaptive_histogram_equalization": "Evens out the values tile by tile, up to a limit (CLAHE).",
    "rand_augment": "`num_ops` random changes of an image, as strong as `factor` (Cubuk et al. 2019).",
    "random_brightness": "Makes images lighter or darker by up to that share of the `value_range`.",
    "random_color_degeneration": "Takes a random part of the colour out of images.",
    "random_color_jitter": "Changes brightness, contrast, saturation and hue at random.",
    "random_contrast": "Raises or lowers the contrast of images by up to that factor.",
    "random_elastic_transform": "Bends images at random, as a sheet of rubber (Simard et al. 2003).",
    "random_erasing": "Fills a random box of each image (Zhong et al. 2017).",
    "random_flip": "Mirrors images at random: horizontal, vertical, or both.",
    "random_gaussian_blur": "Blurs images at random.",
    "random_grayscale": "Makes images grey with that probability.",
    "random_hue": "Turns the hue of colour images by up to that share of the circle.",
    "random_invert": "Turns images into their negatives with that probability.",
    "random_perspective": "Looks at images from a random side.",
    "random_rotation": "Turns images by up to that share of a full turn.",
    "random_saturation": "Makes colours stronger or weaker at random.",
    "random_sharpness": "Sharpens or softens images at random.",
    "random_translation": "Moves images by up to those shares of their height and width.",
    "random_zoom": "Zooms images in or out by up to that share.",
    "solarization": "Turns the values above a threshold into their negatives.",
}
