"""``python -m prismflow.predict``: predict genes with trained runs or a bundle of them."""

import sys

from prismflow.predict.command import main

if __name__ == "__main__":
    sys.exit(main())
