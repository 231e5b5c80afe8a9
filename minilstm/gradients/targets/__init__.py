"""What gradcheck can be pointed at, each seen alike: named tensors in, arrays out, gradients by name."""
