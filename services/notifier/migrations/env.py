from common.migrating import run_env
from notifier.models import METADATA

run_env(METADATA)
