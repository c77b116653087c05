"""What is measured: cases of four kinds at two scales, apart from the drivers that measure them."""
