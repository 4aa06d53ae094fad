from common.migrating import run_env
from gateway.models import Model

run_env(Model.metadata)
