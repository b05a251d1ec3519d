# The validated configuration, the plan, what rules ask of it, and wildcard constraints.
import sys

from prismflow.jobs.code_digest import code_digest, files_digest
from prismflow.jobs.image import image_of
from prismflow.plan.digests import Digests
from prismflow.plan.inputs import Inputs
from prismflow.plan.parameters import Parameters
from prismflow.plan.requests import Requests
from prismflow.plan.rules import growing, one_of, or_refuse, start
from prismflow.settings.architectures import module_of

ENVIRONMENT = "../envs/prismflow.yaml"
PLAN = start(workflow, config, CONFIGURATION)
INPUTS = Inputs(PLAN)
PARAMETERS = Parameters(PLAN)
REQUESTS = Requests(PLAN)
DIGESTS = Digests(PLAN)

if workflow.is_main_process:
    for note in PLAN.skipped:
        print(f"note: {note}", file=sys.stderr)


container: or_refuse(image_of, workflow, workflow.current_basedir)


wildcard_constraints:
    dataset=one_of(PLAN.config.datasets),
    cell=one_of(PLAN.config.cells),
    modality=one_of(PLAN.config.values["modalities"]),
    model=one_of(PLAN.models),
    run=r"[A-Za-z][A-Za-z0-9_]*_seed\d+",
    experiment=one_of(PLAN.config.experiments),
