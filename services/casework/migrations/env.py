from casework.models import Model
from common.migrating import run_env

run_env(Model.metadata)
