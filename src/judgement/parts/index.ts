/** The parts of every judgement, in the order in which they are measured and read. */
import { registerPart } from '../part.ts';
import { calibratorsPart } from './calibrators.ts';
import { centresPart } from './centres.ts';
import { certificatesPart } from './certificates.ts';
import { classesPart } from './classes.ts';
import { conformalPart } from './conformal.ts';
import { embeddingsPart } from './embeddings.ts';
import { ensemblesPart } from './ensembles.ts';
import { figuresPart } from './figures.ts';
import { flagsPart } from './flags.ts';
import { reliabilityPart } from './reliability.ts';
import { selectivePart } from './selective.ts';
import { strataPart } from './strata.ts';
import { truthPart } from './truth.ts';

registerPart(figuresPart);
registerPart(calibratorsPart);
registerPart(reliabilityPart);
registerPart(ensemblesPart);
registerPart(truthPart);
registerPart(centresPart);
registerPart(selectivePart);
registerPart(conformalPart);
registerPart(flagsPart);
registerPart(embeddingsPart);
registerPart(certificatesPart);
registerPart(strataPart);
registerPart(classesPart);
