from common.migrating import run_env
from intake.models import METADATA

run_env(METADATA)
