"""``python -m prismflow.released``: convert one released checkpoint."""

import sys

from prismflow.released.adopt import main

if __name__ == "__main__":
    sys.exit(main())
