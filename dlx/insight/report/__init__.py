"""`dlx report`: one page about one run or several."""

from dlx.insight.report.material import Material, gather
from dlx.insight.report.page import page, write

__all__ = ["Material", "gather", "page", "write"]
