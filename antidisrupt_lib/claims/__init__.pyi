from .defects import defects_table as defects_table
from .hardest import verdicts_table as verdicts_table
from .table import claims_table as claims_table
