"""The propeller: drives executions that admin hands out, and runs their attempts.

Reaches admin through the API only, and only by dialling out.
"""

from typedflow_propeller.admin_client import AdminClient
from typedflow_propeller.local_processes import LocalProcesses
from typedflow_propeller.propeller import Propeller

__all__ = ["AdminClient", "LocalProcesses", "Propeller"]
