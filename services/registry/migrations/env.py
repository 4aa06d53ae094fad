from common.migrating import run_env
from registry.models import Model

run_env(Model.metadata)
