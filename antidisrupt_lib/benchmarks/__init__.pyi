from .race import circumstances as circumstances
from .race import race as race
from .race import ratios as ratios
from .tasks import detector_attack as detector_attack
from .tasks import disruption as disruption
from .tasks import frechet as frechet
